/** The command of a run, which has the agent of its instance make the snapshots. Apart, because the SDK's module behind it is large. */
import { sendToTargets } from '../ssm/command-sending.ts';
import { askForDocument, askForInstance } from '../ssm/ssm-permissions.ts';
import type { Run } from './dlm-records.ts';
import { demandAllowed, type RunContext, withAction } from './run-context.ts';
import { descriptionOf, MARK, markOf } from './run-snapshots.ts';

const DOCUMENT = 'AWSEC2-CreateVssSnapshot';
/** In which the agent must begin: somebody may need the snapshots of now. */
const DELIVERY_S = 600;

/** Sent once, however often it is asked for. @throws AccessDenied, what SSM refuses */
export async function sendCommandOf(of: RunContext, run: Run): Promise<void> {
  const { services, scope, target, policy } = of;
  const instance = (await services.ssm.instances(scope)).find(({ id }) => id === target);
  const asks = [askForDocument(scope, DOCUMENT), ...(instance ? [askForInstance(scope, instance)] : [])];
  await demandAllowed(of, withAction(asks, 'ssm:SendCommand'));
  await sendToTargets(services.ssm, scope, {
    id: run.commandId,
    input: {
      DocumentName: DOCUMENT,
      InstanceIds: [target],
      Comment: of.policy.id,
      TimeoutSeconds: DELIVERY_S,
      Parameters: {
        ExcludeBootVolume: [policy.details.includesBoot ? 'False' : 'True'],
        description: [descriptionOf(of)],
        // The others come later: this list has no way to write all of them.
        tags: [`Key=${MARK},Value=${markOf(run)}`],
      },
    },
  });
}
