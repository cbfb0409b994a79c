/**
 * What ONNX Runtime reads from the process's environment. Its native code calls getenv once, when the
 * library is loaded, so the variables must be in the environment of the *process* before the first session of
 * any thread: set by whoever spawns the process, or by its main thread. Set inside a worker thread they come
 * too late, because a thread's process.env is a copy that native code does not see.
 *
 * `ORT_DISABLE_TELEMETRY`: the package sends usage data to its vendor and leaves files in the temporary and
 * the cache folder; 1 turns that off. Whoever wants it sets 0, which is kept.
 */
export const RUNTIME_ENVIRONMENT: Readonly<Record<string, string>> = { ORT_DISABLE_TELEMETRY: '1' };

/**
 * Adds what is missing to `env`; a value that is there stays.
 * @param env of a process about to be spawned, or process.env on the main thread before any session
 */
export function applyRuntimeEnvironment(env: Record<string, string | undefined>): void {
  for (const [name, value] of Object.entries(RUNTIME_ENVIRONMENT)) env[name] ??= value;
}
