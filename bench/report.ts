/** Rows in, one table or one JSON object a row out. */

export interface Row {
  row: string;
  value?: number | undefined;
  unit?: string;
  /** The figure to reach, and which side of it is good; rows without one are shown for orientation. */
  goal?: number;
  atLeast?: boolean;
  /** Why the row has no value. */
  skipped?: string;
}

export function met(row: Row): boolean | undefined {
  if (row.goal === undefined || row.value === undefined || Number.isNaN(row.value)) return undefined;
  return row.atLeast === false ? row.value <= row.goal : row.value >= row.goal;
}

export function printJson(rows: readonly Row[]): void {
  for (const row of rows) {
    const { row: name, value, unit, goal, skipped } = row;
    process.stdout.write(
      `${JSON.stringify({ row: name, value: value ?? null, unit: unit ?? '', goal: goal ?? null, met: met(row) ?? null, ...(skipped ? { skipped } : {}) })}\n`,
    );
  }
}

export function printTable(rows: readonly Row[]): void {
  const width = Math.max(...rows.map((row) => row.row.length));
  for (const row of rows) {
    const value = figure(row);
    const verdict = met(row);
    const goal = row.goal === undefined ? '' : `goal ${row.atLeast === false ? '≤' : '≥'} ${row.goal}`;
    const mark = verdict === undefined ? '' : verdict ? '  met' : '  NOT MET';
    process.stdout.write(`${row.row.padEnd(width)}  ${value.padStart(18)}  ${goal}${mark}\n`);
  }
}

function figure({ value, unit, skipped }: Row): string {
  if (skipped !== undefined) return `skipped: ${skipped}`;
  return value === undefined || Number.isNaN(value) ? 'no figure' : `${round(value)} ${unit ?? ''}`;
}

function round(value: number): string {
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1
    ? (sorted[middle] ?? Number.NaN)
    : ((sorted[middle - 1] ?? Number.NaN) + (sorted[middle] ?? Number.NaN)) / 2;
}

/** `rank`: 0.99 for the 99th. */
export function percentile(of: readonly number[], rank: number): number {
  const sorted = [...of].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * rank))] ?? Number.NaN;
}

/** What counts as flat: a quarter more is growth. */
export const FLAT = 1.25;
