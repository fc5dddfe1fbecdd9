/** The AWS API of a cluster under test, as its administrator's AWS CLI and as anybody's SDK see it. */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { must } from '@rokka/kernel';
import { dataPaths } from '../data-directory.ts';
import { RokkaCommand } from './rokka-command.ts';
import type { RokkaUnderTest } from './rokka-under-test.ts';

export interface Key {
  readonly AccessKeyId: string;
  readonly SecretAccessKey: string;
}

export class CloudUnderTest {
  readonly rokka: RokkaUnderTest;
  readonly port: number;

  private constructor(rokka: RokkaUnderTest, port: number) {
    this.rokka = rokka;
    this.port = port;
  }

  static async start(rokka: RokkaUnderTest, port: number): Promise<CloudUnderTest> {
    const cloud = new CloudUnderTest(rokka, port);
    await cloud.answers();
    return cloud;
  }

  /** @param but a process that was killed @returns the process that answers */
  async answers(but?: number): Promise<number> {
    const { gateway } = await this.rokka.until(
      'the AWS API answers',
      ({ gateway: found }) => found?.ready === true && ![undefined, but].includes(found.pid),
    );
    return must(gateway?.pid);
  }

  run(...words: string[]) {
    return RokkaCommand.run(['--data', this.rokka.place.data, 'aws', ...words, '--output', 'json']);
  }

  async ask<T>(...words: string[]): Promise<T> {
    const end = await this.run(...words);
    assert.equal(end.status, 0, `aws ${words.join(' ')}: ${end.err}`);
    return (end.out.trim() === '' ? {} : JSON.parse(end.out)) as T;
  }

  /** Of the profile that the first start has written. */
  administratorKey(): Key {
    const file = path.join(dataPaths.aws(this.rokka.place.data), 'credentials');
    const text = fs.readFileSync(file, 'utf8');
    const value = (name: string) => must(new RegExp(`^${name} = (\\S+)$`, 'm').exec(text)?.[1]);
    return { AccessKeyId: value('aws_access_key_id'), SecretAccessKey: value('aws_secret_access_key') };
  }

  client(key: Key) {
    const { AccessKeyId: accessKeyId, SecretAccessKey: secretAccessKey } = key;
    return {
      endpoint: `http://127.0.0.1:${this.port}`,
      region: 'us-east-1',
      credentials: { accessKeyId, secretAccessKey },
      // A connection that was kept open may be to a process that is dead.
      maxAttempts: 3,
    };
  }
}
