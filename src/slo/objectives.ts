/**
 * Objectives from OpenSLO v1 (https://github.com/OpenSLO/OpenSLO): documents of kind Service, SLI and SLO.
 * Everything that is wrong is told at once, with line, value and fix; what cannot be measured by the metrics
 * that exist, or alerted on by the windows that are used, is wrong.
 */
import { PERIOD_MAX_S, PERIOD_MIN_S, rounded } from './burn_windows.ts';
import { durationText, parseDurationShorthand } from './duration.ts';
import { countedBy, type Indicator, type KnownModel, readIndicator } from './indicator.ts';
import type { Objective } from './objective.ts';
import { readTarget } from './objective_target.ts';
import { type Field, FieldReader, suggestion } from './yaml_fields.ts';

export interface ObjectiveProblem {
  readonly path: string;
  /** 1-based. */
  readonly line: number;
  /** A warning does not keep the file from being used. */
  readonly severity: 'error' | 'warning';
  readonly message: string;
}

export interface ObjectivesFile {
  /** Empty when there is any error, so that nothing is built from half a file. */
  readonly objectives: readonly Objective[];
  /** In the order of lines. */
  readonly problems: readonly ObjectiveProblem[];
}

export interface ObjectivesContext {
  /** The file, for messages. */
  readonly path: string;
  /** Undefined when the repository cannot be looked at; then names of models are taken as they are. */
  readonly models: readonly KnownModel[] | undefined;
}

/** A problem as one line: `slo.yaml:14: error: ...`. */
export function formatObjectiveProblem({ path, line, severity, message }: ObjectiveProblem): string {
  return `${path}:${line}: ${severity}: ${message}`;
}

const API_VERSION = 'openslo/v1';
const KINDS = ['Service', 'SLI', 'SLO'] as const;
const FILE_LIMIT_CHARS = 512 * 1024;
const OBJECTIVES_LIMIT = 500;
const TARGETS_PER_SLO_LIMIT = 8;

const NAME = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;
const NAME_ACCEPTS = 'lower-case letters, digits and hyphens, at most 63, such as langid-latency';

interface Named {
  readonly name: string;
  readonly displayName: string;
  readonly line: number;
}

/** @param text the file's content */
export function readObjectives(text: string, context: ObjectivesContext): ObjectivesFile {
  const reader = new FieldReader();
  if (text.length > FILE_LIMIT_CHARS) {
    const message = `the file is larger than ${FILE_LIMIT_CHARS} characters; split it`;
    return { objectives: [], problems: [{ path: context.path, line: 1, severity: 'error', message }] };
  }
  const file = new ObjectivesReader(reader, context);
  for (const document of reader.documents(text)) file.document(document);
  const objectives = file.finish();
  const problems = reader.problems.map((problem) => ({ path: context.path, ...problem }));
  const failed = problems.some(({ severity }) => severity === 'error');
  return { objectives: failed ? [] : objectives, problems };
}

/** One file: documents are read as they come, and what refers to others once all are known. */
class ObjectivesReader {
  readonly #reader: FieldReader;
  readonly #context: ObjectivesContext;
  readonly #services = new Map<string, Named>();
  readonly #indicators = new Map<
    string,
    { readonly named: Named; readonly indicator: Indicator | undefined }
  >();
  readonly #slos = new Map<string, { readonly named: Named; readonly spec: Field }>();

  constructor(reader: FieldReader, context: ObjectivesContext) {
    this.#reader = reader;
    this.#context = context;
  }

  document(document: Field): void {
    const reader = this.#reader;
    const fields = reader.map(document, ['apiVersion', 'kind', 'metadata', 'spec']);
    const [apiVersion, kindField] = [fields?.get('apiVersion'), fields?.get('kind')];
    if (apiVersion !== undefined) {
      reader.text(apiVersion, `${API_VERSION}`, (text) => text === API_VERSION);
    }
    const kind =
      kindField &&
      reader.text(
        kindField,
        `one of ${KINDS.join(', ')}; alerts need no document, they follow from the SLO`,
        (text) => (KINDS as readonly string[]).includes(text),
      );
    const named = this.#metadata(fields?.get('metadata'));
    const spec = fields?.get('spec');
    if (kind === undefined || named === undefined || spec === undefined) return;
    switch (kind) {
      case 'Service':
        reader.map(spec, [], ['description']);
        this.#add(this.#services, kind, named, named);
        break;
      case 'SLI':
        this.#add(this.#indicators, kind, named, {
          named,
          indicator: readIndicator(reader, this.#context.models, spec),
        });
        break;
      case 'SLO':
        this.#add(this.#slos, kind, named, { named, spec });
        break;
    }
  }

  /** The objectives of every SLO that could be read. */
  finish(): Objective[] {
    const objectives = [...this.#slos.values()].flatMap(({ named, spec }) => this.#slo(named, spec));
    const lines = new Map<string, number>();
    for (const { name, line } of objectives) {
      const before = lines.get(name);
      if (before === undefined) lines.set(name, line);
      else
        this.#reader.problem(
          line,
          `an objective ${name} stands in line ${before} already; choose another name`,
        );
    }
    if (objectives.length > OBJECTIVES_LIMIT) {
      this.#reader.problem(1, `${objectives.length} objectives; at most ${OBJECTIVES_LIMIT} are kept`);
    }
    return objectives;
  }

  #add<T>(to: Map<string, T>, kind: string, named: Named, value: T): void {
    const before = [...to.entries()].find(([name]) => name === named.name);
    if (before === undefined) to.set(named.name, value);
    else {
      this.#reader.problem(
        named.line,
        `metadata.name: another ${kind} in this file is named ${named.name}; choose another name`,
      );
    }
  }

  #metadata(field: Field | undefined): Named | undefined {
    if (field === undefined) return undefined;
    const reader = this.#reader;
    const fields = reader.map(field, ['name'], ['displayName', 'labels', 'annotations']);
    const nameField = fields?.get('name');
    if (nameField === undefined) return undefined;
    const name = reader.text(nameField, NAME_ACCEPTS, (text) => NAME.test(text));
    if (name === undefined) return undefined;
    const displayField = fields?.get('displayName');
    const displayName =
      displayField && reader.text(displayField, 'one line of text', (text) => text.length <= 200);
    return { name, displayName: displayName ?? name, line: nameField.line };
  }

  #slo(named: Named, spec: Field): Objective[] {
    const reader = this.#reader;
    const fields = reader.map(
      spec,
      ['service', 'timeWindow', 'budgetingMethod', 'objectives'],
      ['description', 'indicator', 'indicatorRef'],
    );
    if (fields === undefined) return [];
    const description = fields.get('description');
    const descriptionText =
      description &&
      reader.text(description, 'text of at most 2000 characters', (text) => text.length <= 2000);
    const service = this.#service(fields.get('service'));
    const indicator = this.#indicatorOf(spec, fields.get('indicator'), fields.get('indicatorRef'));
    const periodS = this.#period(fields.get('timeWindow'));
    const method = fields.get('budgetingMethod');
    if (method !== undefined) {
      reader.text(method, 'Occurrences: every query counts once', (text) => text === 'Occurrences');
    }
    const listField = fields.get('objectives');
    const list = listField && reader.list(listField, 'a list of one or more targets');
    if (listField === undefined || list === undefined) return [];
    if (list.length === 0 || list.length > TARGETS_PER_SLO_LIMIT) {
      reader.problem(
        listField.line,
        `${listField.path} has ${list.length} entries; it takes 1 to ${TARGETS_PER_SLO_LIMIT}`,
      );
    }
    return list.slice(0, TARGETS_PER_SLO_LIMIT).flatMap((item, index) => {
      const target = readTarget(reader, item, indicator?.kind, periodS);
      if (target === undefined || indicator === undefined || service === undefined || periodS === undefined) {
        return [];
      }
      return [
        {
          name: list.length === 1 ? named.name : `${named.name}-${index + 1}`,
          displayName: target.displayName ?? named.displayName,
          description: descriptionText ?? '',
          service,
          ...indicator,
          target: target.target,
          budget: rounded(1 - target.target),
          periodS,
          thresholdS: target.thresholdS,
          ...countedBy(indicator, target.thresholdS),
          line: list.length === 1 ? named.line : item.line,
        },
      ];
    });
  }

  #service(field: Field | undefined): string | undefined {
    if (field === undefined) return undefined;
    const name = this.#reader.text(field, 'the name of a Service document');
    if (name === undefined || this.#services.has(name)) return name;
    this.#reader.problem(
      field.line,
      `${field.path}: there is no document of kind Service named ${JSON.stringify(name.slice(0, 63))}; ${suggestion(name, [...this.#services.keys()])}`,
    );
    return undefined;
  }

  #indicatorOf(spec: Field, inline: Field | undefined, reference: Field | undefined): Indicator | undefined {
    const reader = this.#reader;
    if ((inline === undefined) === (reference === undefined)) {
      return reader.refuse(spec, 'either indicator, or indicatorRef with the name of an SLI');
    }
    if (inline !== undefined) {
      const fields = reader.map(inline, ['spec'], ['metadata']);
      this.#metadata(fields?.get('metadata'));
      const inner = fields?.get('spec');
      return inner && readIndicator(reader, this.#context.models, inner);
    }
    if (reference === undefined) return undefined;
    const name = reader.text(reference, 'the name of an SLI document');
    if (name === undefined) return undefined;
    const found = this.#indicators.get(name);
    if (found !== undefined) return found.indicator;
    reader.problem(
      reference.line,
      `${reference.path}: there is no document of kind SLI named ${JSON.stringify(name.slice(0, 63))}; ${suggestion(name, [...this.#indicators.keys()])}`,
    );
    return undefined;
  }

  #period(field: Field | undefined): number | undefined {
    const reader = this.#reader;
    if (field === undefined) return undefined;
    const accepts = 'one window, such as [{ duration: 30d, isRolling: true }]';
    const list = reader.list(field, accepts);
    if (list === undefined) return undefined;
    const [window] = list;
    if (window === undefined || list.length > 1) return reader.refuse(field, accepts);
    const fields = reader.map(window, ['duration', 'isRolling']);
    const rolling = fields?.get('isRolling');
    if (rolling !== undefined) {
      reader.flag(rolling, 'true: calendar windows are not supported', (value) => value);
    }
    const durationField = fields?.get('duration');
    if (durationField === undefined) return undefined;
    const text = reader.text(
      durationField,
      'a whole number of minutes, hours, days or weeks, such as 30d or 4w',
      (value) => parseDurationShorthand(value) !== undefined,
    );
    const periodS = text === undefined ? undefined : parseDurationShorthand(text);
    if (periodS === undefined || (periodS >= PERIOD_MIN_S && periodS <= PERIOD_MAX_S)) return periodS;
    return reader.refuse(
      durationField,
      `${durationText(PERIOD_MIN_S)} to ${durationText(PERIOD_MAX_S)}: the alerts' windows, up to 3 days, are made for about a month, and samples are kept for ${durationText(PERIOD_MAX_S)}`,
    );
  }
}
