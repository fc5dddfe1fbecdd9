/** How a moment appears in messages: UTC, to the second. */
export const shownTime = (ms: number): string => new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');
