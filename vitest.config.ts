import { configDefaults, defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts', 'src/**/*.test.ts'],
    // They need engines that take minutes to build: npm run test:engines.
    exclude: [...configDefaults.exclude, 'test/engines/**'],
    // Real processes and real models share two cores; more workers only add waiting.
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 60_000,
  },
});
