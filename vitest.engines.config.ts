import { defineConfig } from 'vitest/config';

/** Tests against the engines that teams run, built by `npm run engines`. Apart from `npm test`. */
export default defineConfig({
  test: {
    include: ['test/engines/**/*.test.ts'],
    maxWorkers: 1,
    testTimeout: 600_000,
    hookTimeout: 120_000,
  },
});
