/** Where processes listen for faults; a drill finds them there. */
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';

/** @param configured VITRINE_DRILL_SOCKET_DIRECTORY; empty for a private folder below the temporary one */
export function faultSocketDirectory(configured: string): string {
  return configured === '' ? join(tmpdir(), `vitrine-${userInfo().username}`) : configured;
}
