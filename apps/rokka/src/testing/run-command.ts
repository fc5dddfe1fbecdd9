/** Run Command on a cluster under test: documents are sent to its machine, and waited for. */
import * as ssm from '@aws-sdk/client-ssm';
import { must, systemClock } from '@rokka/kernel';

const READY_MS = 180_000;
const END_MS = 400_000;
const LOOK_AGAIN_MS = 100;
const OVER = ['Success', 'Failed', 'TimedOut', 'Cancelled'];

export class RunCommandUnderTest {
  readonly client: ssm.SSMClient;
  readonly #instance: string;

  constructor(client: ssm.SSMClient, instance: string) {
    this.client = client;
    this.#instance = instance;
  }

  /** Resolves when the machine's agent is there. */
  async online(): Promise<void> {
    await until(READY_MS, 'the agent is online', async () => {
      const { InstanceInformationList = [] } = await this.client.send(
        new ssm.DescribeInstanceInformationCommand({}),
      );
      return InstanceInformationList.some(({ PingStatus }) => PingStatus === 'Online') || undefined;
    });
  }

  async send(DocumentName: string, parameters: Readonly<Record<string, string>>): Promise<string> {
    const { Command } = await this.client.send(
      new ssm.SendCommandCommand({
        DocumentName,
        InstanceIds: [this.#instance],
        Parameters: Object.fromEntries(Object.entries(parameters).map(([name, value]) => [name, [value]])),
      }),
    );
    return must(Command?.CommandId);
  }

  /** @returns how it ended on the machine */
  ended(CommandId: string): Promise<ssm.GetCommandInvocationCommandOutput> {
    return until(END_MS, `command ${CommandId} ends`, async () => {
      const found = await this.client.send(
        new ssm.GetCommandInvocationCommand({ CommandId, InstanceId: this.#instance }),
      );
      return OVER.includes(found.Status ?? '') ? found : undefined;
    });
  }

  async run(document: string, parameters: Readonly<Record<string, string>>) {
    return this.ended(await this.send(document, parameters));
  }
}

async function until<T>(ms: number, what: string, look: () => Promise<T | undefined>): Promise<T> {
  for (const endMs = systemClock.nowMs() + ms; ;) {
    const found = await look();
    if (found !== undefined) return found;
    if (systemClock.nowMs() > endMs) throw new Error(`${what}: not within ${ms} ms`);
    await systemClock.sleep(LOOK_AGAIN_MS);
  }
}
