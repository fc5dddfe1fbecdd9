/**
 * What AWS-ConfigureAWSPackage installs on a machine: the writers of applications. Their code comes with Rokka; installing them makes the
 * directory in which a machine's own scripts stand, and lets snapshots ask applications at all.
 *
 * What is installed stands in one file, written whole. Uninstalling leaves the scripts of the machine's owner where they are.
 */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { writeDurably } from '@rokka/kernel';

export const WRITERS_PACKAGE = 'AwsVssComponents';
/** Of the writers that come with this program. */
export const WRITERS_VERSION = '1.0.0';

const ABOUT_SCRIPTS = `Scripts that speak for applications which no writer knows.

Executable files named pre-… run before volumes are copied, those named post-… afterwards, also where a
pre-… script has failed, each in the order of the names. While post-… has not run, the application must
leave what it has on the volumes as it is.

Those named stop-NAME run before volumes are replaced by a restore, those named start-NAME afterwards, whatever has come of
it. Each stop- needs its start-, which must bear that its application runs.

A file speaks-for names the files and directories that the scripts speak for, one path a line. Programs
that write elsewhere on the volumes are told as what nobody speaks for.
`;

export class Packages {
  readonly #directory: string;

  /** @param directory the agent's own, on no volume that is copied */
  constructor(directory: string) {
    this.#directory = directory;
  }

  get scripts(): string {
    return path.join(this.#directory, 'scripts');
  }

  /** Which local file systems take part in snapshots; the machine's owner writes it. */
  get localFileSystems(): string {
    return path.join(this.#directory, 'local-filesystems');
  }

  /** Versions by name. */
  installed(): Readonly<Record<string, string>> {
    try {
      return JSON.parse(fs.readFileSync(this.#file, 'utf8')) as Record<string, string>;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {};
      throw error;
    }
  }

  installWriters(): void {
    fs.mkdirSync(this.scripts, { recursive: true, mode: 0o700 });
    fs.writeFileSync(path.join(this.scripts, 'README'), ABOUT_SCRIPTS);
    this.#write({ ...this.installed(), [WRITERS_PACKAGE]: WRITERS_VERSION });
  }

  uninstallWriters(): void {
    const { [WRITERS_PACKAGE]: _, ...others } = this.installed();
    this.#write(others);
  }

  get #file(): string {
    return path.join(this.#directory, 'packages.json');
  }

  #write(packages: Readonly<Record<string, string>>): void {
    fs.mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
    writeDurably(this.#file, `${JSON.stringify(packages)}\n`);
  }
}
