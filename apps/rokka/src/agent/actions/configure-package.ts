/** `aws:configurePackage`: the writers' package is the only one there is. */
import type { Action, ActionInput, ActionResult } from '../action.ts';
import { failed, succeeded } from '../action.ts';
import { type Packages, WRITERS_PACKAGE, WRITERS_VERSION } from '../packages.ts';
import { textOf } from '../inputs.ts';

export function configurePackage(packages: Packages): Action {
  return {
    async run({ inputs, say }: ActionInput): Promise<ActionResult> {
      const [name, version] = [textOf(inputs, 'name'), textOf(inputs, 'version')];
      if (name !== WRITERS_PACKAGE)
        return failed(`there is no package ${name}; what can be installed is ${WRITERS_PACKAGE}`);
      if (!['', 'latest', WRITERS_VERSION].includes(version))
        return failed(`${name} has no version ${version}; it has ${WRITERS_VERSION}`);
      // Whoever leaves it out, or has it otherwise, must not lose what is installed.
      const action = textOf(inputs, 'action');
      if (action !== 'Install' && action !== 'Uninstall')
        return failed(`action is "${action}"; what can be done is Install or Uninstall`);
      const before = packages.installed()[name];
      if (action === 'Install') {
        packages.installWriters();
        say(
          before
            ? `${name} ${before} was installed already.\n`
            : `${name} ${WRITERS_VERSION} is installed.\n`,
        );
        say(`Scripts of this machine's own go to ${packages.scripts}.\n`);
      } else {
        packages.uninstallWriters();
        say(before ? `${name} ${before} is uninstalled.\n` : `${name} was not installed.\n`);
      }
      return succeeded;
    },
    // One file is written whole, or not at all.
    recover: async () =>
      'Whether the package is installed DescribeInstanceInformation does not say: run it again.',
  };
}
