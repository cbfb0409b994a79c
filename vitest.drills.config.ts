import { defineConfig } from 'vitest/config';

/** Drills against the whole service, at a time scale: they need a machine that is not busy. Apart from `npm test`. */
export default defineConfig({
  test: {
    include: ['test/drills/**/*.test.ts'],
    maxWorkers: 1,
    // Tests of one service wait for it together.
    maxConcurrency: 32,
    testTimeout: 240_000,
    hookTimeout: 120_000,
  },
});
