import { defineConfig } from 'vitest/config'

const tests = ['src/**/*.test.ts', 'test/**/*.test.ts', 'scripts/**/*.test.ts', 'bench/**/*.test.ts']
const unit = ['src/**/*.unit.test.ts', 'test/**/*.unit.test.ts', 'scripts/**/*.unit.test.ts', 'bench/**/*.unit.test.ts']

export default defineConfig({
  test: {
    // Two cores: more workers only make the timing of real sockets and processes worse.
    maxWorkers: 2,
    coverage: { provider: 'v8', include: ['src/**/*.ts'], exclude: ['**/*.test.ts'], reporter: ['text', 'html'] },
    projects: [
      // Fast, but a machine may be busy with other things. None of them changes what it imports, so the files of a worker share it.
      { test: { name: 'unit', include: unit, testTimeout: 20_000, isolate: false } },
      {
        test: {
          name: 'integration',
          include: tests,
          exclude: [...unit, '**/node_modules/**', 'test/chaos/**'],
          globalSetup: ['test/support/global-setup.ts'],
          testTimeout: 30_000,
          hookTimeout: 60_000,
        },
      },
    ],
  },
})
