// Health check of a container, whose image has no curl: exits with 0 when the address answers 2xx within 4 s, else 1.
//   node deploy/health_check.mjs http://127.0.0.1:8000/livez
const TIMEOUT_MS = 4000;

const address = process.argv[2] ?? '';
try {
  const response = await fetch(address, { signal: AbortSignal.timeout(TIMEOUT_MS), redirect: 'error' });
  await response.arrayBuffer();
  if (!response.ok) process.stderr.write(`${address} answered ${response.status}\n`);
  process.exitCode = response.ok ? 0 : 1;
} catch (error) {
  process.stderr.write(`${address || '(no address)'}: ${error.cause?.message ?? error.message}\n`);
  process.exitCode = 1;
}
