/** What is mounted where, as this process's mount namespace has it (proc(5), /proc/pid/mountinfo). */
import * as fs from 'node:fs';

export interface MountEntry {
  readonly mountPoint: string;
  readonly type: string;
  readonly source: string;
}

/** Mounts in the order of their making: the last one at a mount point covers those before. */
export function readMountTable(): MountEntry[] {
  return parseMountTable(fs.readFileSync('/proc/self/mountinfo', 'latin1'));
}

/** Paths come back as byte strings turned into text. Fields: id, parent, device, root, mount point, options …, "-", type, source. */
export function parseMountTable(text: string): MountEntry[] {
  const entries: MountEntry[] = [];
  for (const line of text.split('\n')) {
    const fields = line.split(' ');
    const dash = fields.indexOf('-', 6);
    const [mountPoint, type, source] = [fields[4], fields[dash + 1], fields[dash + 2]];
    if (dash < 0 || !mountPoint || !type) continue;
    entries.push({ mountPoint: unescape(mountPoint), type, source: unescape(source ?? '') });
  }
  return entries;
}

/** Blanks, tabs, newlines and backslashes stand as three octal digits. */
function unescape(field: string): string {
  const bytes = field.replaceAll(/\\([0-7]{3})/g, (_all, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
  return Buffer.from(bytes, 'latin1').toString('utf8');
}
