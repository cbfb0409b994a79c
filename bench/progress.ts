/** One line on stderr that is written over on a terminal; elsewhere a line for each step. */
export interface Progress {
  show(text: string): void;
  clear(): void;
}

export function createProgress(title: string): Progress {
  const { stderr } = process;
  const startMs = performance.now();
  return {
    show(text) {
      const seconds = ((performance.now() - startMs) / 1000).toFixed(0);
      const line = `${title}: ${text} (${seconds} s)`;
      stderr.write(stderr.isTTY ? `\r\x1b[2K${line.slice(0, (stderr.columns ?? 80) - 1)}` : `${line}\n`);
    },
    clear() {
      if (stderr.isTTY) stderr.write('\r\x1b[2K');
    },
  };
}
