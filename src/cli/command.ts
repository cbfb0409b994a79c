/** What every file of a subcommand exports, and how it reads its arguments. */
import { type ParseArgsConfig, parseArgs } from 'node:util';

export interface Command {
  /** One line, for the list of commands. */
  readonly summary: string;
  /** What `--help` prints: usage, options, examples. */
  readonly help: string;
  /** @returns the exit code: 0 done, 1 failed @throws UsageError */
  run(argv: readonly string[]): Promise<number>;
}

/** The command line is wrong. The message names the option and the fix. */
export class UsageError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'UsageError';
  }
}

/** node:util's parseArgs, strict, with its errors as UsageError. */
export function readArguments<T extends Omit<ParseArgsConfig, 'args' | 'strict'>>(
  argv: readonly string[],
  options: T,
): ReturnType<typeof parseArgs<T & { args: string[]; strict: true }>> {
  try {
    return parseArgs({ ...options, args: [...argv], strict: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code?.startsWith('ERR_PARSE_ARGS')) {
      throw new UsageError((error as Error).message);
    }
    throw error;
  }
}

/** @throws UsageError when the text is no number within the limits */
export function readNumber(option: string, text: string, min: number, max: number): number {
  const value = Number(text);
  if (text.trim() === '' || !(value >= min && value <= max)) {
    throw new UsageError(`--${option} takes a number from ${min} to ${max}`);
  }
  return value;
}
