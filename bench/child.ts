/** The bench's side in its own children: they tell their ports, answer tasks, and end with their parent. */
import { type Ports, parseSupervisorMessage, seal } from '../src/contract/messages.ts';

/** Called once, when the child can be used. @param answer of tasks; undefined for a child that takes none */
export function serveBench(
  name: string,
  ports: Ports,
  answer: (task: unknown) => Promise<unknown> = () => Promise.reject(new Error('takes no tasks')),
): void {
  process.on('disconnect', () => process.exit(0));
  // A terminal sends it to the whole group; the bench ends its children itself.
  process.on('SIGINT', () => {});
  process.on('message', (raw) => {
    if (parseSupervisorMessage(raw)?.type === 'drain') process.exit(0);
    answer(raw).then(
      (result) => process.send?.({ result }),
      (error: unknown) => process.send?.({ error: error instanceof Error ? error.message : String(error) }),
    );
  });
  process.send?.(seal({ type: 'ready', name, index: 0, ports }));
}
