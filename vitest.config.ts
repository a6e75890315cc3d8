import { defineConfig } from 'vitest/config'

// `fast` is what `npm test` runs; `soak` holds what takes longer than a person waits for.
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'fast',
          include: ['test/**/*.test.ts'],
          exclude: ['test/**/*.soak.test.ts'],
          setupFiles: ['src/core/regexp-engine.ts'],
          testTimeout: 30_000,
          hookTimeout: 30_000,
        },
      },
      {
        test: {
          name: 'soak',
          include: ['test/**/*.soak.test.ts'],
          setupFiles: ['src/core/regexp-engine.ts'],
          testTimeout: 3_600_000,
          hookTimeout: 60_000,
        },
      },
    ],
  },
})
