import { defineErrors } from './errors.ts';

export const kernelErrors = defineErrors({
  KERNEL_DEADLINE: (what: string, ms: number) => `${what} took longer than ${ms} ms`,
  KERNEL_QUEUE_FULL: (name: string, limit: number) => `${name} is full (${limit}); wait for it to drain`,
  KERNEL_SHORT_BYTES: (need: number, have: number) =>
    `message ends early: ${need} bytes needed, ${have} left`,
});
