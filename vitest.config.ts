import { configDefaults, defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts', 'src/**/*.test.ts'],
    // The first need engines that take minutes to build, the second a machine of their own: they measure time.
    // npm run test:engines, npm run test:drills.
    exclude: [...configDefaults.exclude, 'test/engines/**', 'test/drills/**'],
    // Real processes and real models share two cores; more workers only add waiting.
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 60_000,
  },
});
