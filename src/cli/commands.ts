/** The subcommands of `vitrine`; each is loaded only when it is asked for. */
import type { Command } from './command.ts';

/** By name, in the order in which a newcomer meets them. */
export const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  up: () => import('./up.ts'),
  infer: () => import('./infer.ts'),
  trace: () => import('./trace.ts'),
  models: () => import('./models.ts'),
  load: () => import('./load.ts'),
  slo: () => import('./slo.ts'),
  drill: () => import('./drill.ts'),
  alerts: () => import('./alerts.ts'),
  plan: () => import('./plan.ts'),
};

/** The list that `vitrine --help` prints. */
export async function helpText(): Promise<string> {
  const lines = await Promise.all(
    Object.entries(COMMANDS).map(async ([name, load]) => `  ${name.padEnd(8)} ${(await load()).summary}`),
  );
  return `Usage: vitrine <command>

An inference service you can see through.

${lines.join('\n')}
  help     this text; "vitrine help <command>" teaches one command
  version  the version of Vitrine and of Node

Start with "npx vitrine up", then in another terminal
"npx vitrine infer langid 'Where did the time go?'".`;
}
