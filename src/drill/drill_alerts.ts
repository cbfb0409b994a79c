/** The alerts of one drill, as the console tells of them: what they did since the fault, and the evidence of the first. */
import type { AlertInstance } from '../contract/alerts.ts';
import type { Evidence } from '../contract/evidence.ts';
import type { ConsoleWatch, ObjectivesInForce } from './console_watch.ts';
import type { AlertOf, Drill, DrillTarget, ExpectedAlert } from './drill.ts';
import type { DrillStepKind } from './report.ts';

interface WantedAlert {
  readonly expected: ExpectedAlert;
  readonly labels: Readonly<Record<string, string>>;
}

/** A model without an objective has no alert of its budget; the others stay. */
export function wantedAlerts(
  drill: Drill,
  { model, workers }: DrillTarget,
  objectives: ObjectivesInForce['objectives'],
): WantedAlert[] {
  const labelsOf = (of: AlertOf): Record<string, string> | undefined => {
    switch (of) {
      case 'model':
        return { model };
      case 'worker':
        return { instance: workers[0] ?? '' };
      case 'gateway':
        return { instance: 'gateway-0' };
      case 'console':
        return { instance: 'console-0' };
      case 'service':
        return {};
      case 'latency_objective':
      case 'availability_objective': {
        const kind = of === 'latency_objective' ? 'latency' : 'availability';
        const slo = objectives.find((objective) => objective.model === model && objective.kind === kind);
        return slo === undefined ? undefined : { slo: slo.name };
      }
    }
  };
  return drill.alerts.flatMap((expected) => {
    const labels = labelsOf(expected.of);
    return labels === undefined ? [] : [{ expected, labels }];
  });
}

/** Of JSON, where what is undefined is null or absent. */
function cannotSay(evidence: Evidence): boolean {
  return evidence.cannotSay !== undefined && evidence.cannotSay !== null;
}

export interface DrillAlertsDeps {
  readonly console: ConsoleWatch;
  /** Takes a line of the timeline. */
  readonly step: (kind: DrillStepKind, detail: string, atMs: number) => void;
}

export class DrillAlerts {
  readonly #deps: DrillAlertsDeps;
  readonly #wanted: readonly WantedAlert[];
  readonly #last = new Map<string, AlertInstance>();
  /** Unix milliseconds of the fault: what was pending before is another one's. */
  sinceMs = 0;
  /** Of the first alert; one that cannot say is replaced by one that can. */
  evidence: Evidence | undefined;

  constructor(deps: DrillAlertsDeps, wanted: readonly WantedAlert[]) {
    this.#deps = deps;
    this.#wanted = wanted;
  }

  #find(alerts: readonly AlertInstance[], wanted: WantedAlert): AlertInstance | undefined {
    return alerts.find(
      (alert) =>
        alert.name === wanted.expected.name &&
        Object.entries(wanted.labels).every(([label, value]) => alert.labels[label] === value) &&
        alert.pendingSinceMs >= this.sinceMs,
    );
  }

  /** One that is pending or firing now. */
  async active(): Promise<AlertInstance | undefined> {
    const alerts = (await this.#deps.console.alerts()).filter(({ state }) => state !== 'resolved');
    return this.#wanted.map((wanted) => this.#find(alerts, wanted)).find((alert) => alert !== undefined);
  }

  /** Looks at the alerts that belong to this fault, and tells what changed. */
  async look(): Promise<void> {
    const { console: watch, step } = this.#deps;
    const alerts = await watch.alerts();
    for (const wanted of this.#wanted) {
      const found = this.#find(alerts, wanted);
      if (found === undefined) continue;
      const before = this.#last.get(wanted.expected.name);
      this.#last.set(wanted.expected.name, found);
      const text = [found.name, ...Object.values(wanted.labels)].join(' ');
      if (before === undefined) step('pending', text, found.pendingSinceMs);
      if (found.firingSinceMs && !before?.firingSinceMs) {
        step('firing', `${text}: ${found.annotations.summary ?? ''}`, found.firingSinceMs);
      }
      if (wanted === this.#wanted[0]) this.#take(found.evidence);
      if (found.resolvedAtMs && !before?.resolvedAtMs) step('cleared', text, found.resolvedAtMs);
    }
  }

  #take(found: Evidence | undefined): void {
    if (!found || (this.evidence !== undefined && (this.isExplained() || cannotSay(found)))) return;
    this.evidence = found;
    this.#deps.step('evidence', found.text, found.atMs);
  }

  /** There is evidence, and it can say. */
  isExplained(): boolean {
    return this.evidence !== undefined && !cannotSay(this.evidence);
  }

  notFired(): WantedAlert[] {
    return this.#wanted.filter(({ expected }) => !this.#last.get(expected.name)?.firingSinceMs);
  }

  async haveFired(): Promise<boolean> {
    await this.look();
    return this.notFired().length === 0;
  }

  /** The alert whose evidence is judged. */
  judged(): AlertInstance | undefined {
    const [first] = this.#wanted;
    return first && this.#last.get(first.expected.name);
  }

  /** Those that fired and have not cleared. */
  open(): AlertInstance[] {
    return this.seen().filter((alert) => alert.firingSinceMs && !alert.resolvedAtMs);
  }

  seen(): AlertInstance[] {
    return [...this.#last.values()];
  }
}
