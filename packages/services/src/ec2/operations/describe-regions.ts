import type { DescribeRegionsCommand, Region } from '@aws-sdk/client-ec2';
import type { Operation } from '@rokka/gateway';
import type { Ec2Services } from '../ec2-context.ts';
import { ec2Failures } from '../ec2-failures.ts';
import { demandBuilt, scopeOf } from '../ec2-inputs.ts';
import { filtered, type FilterTable, ofNothing } from '../ec2-lists.ts';

/** Regions are names: those in which the account has something, and the one that is called. @throws InvalidParameterValue */
export const describeRegions =
  ({ store }: Ec2Services): Operation<typeof DescribeRegionsCommand> =>
  async (input, call) => {
    const { account, region } = scopeOf(call);
    const { RegionNames: names = [] } = input;
    demandBuilt(input, ['AllRegions', 'Filters', 'RegionNames']);
    const own = (await store.scopes()).filter((scope) => scope.account === account);
    const known = [...new Set([region, ...own.map((scope) => scope.region)])].sort();
    const strangers = names.filter((name) => !known.includes(name));
    if (strangers.length > 0)
      throw ec2Failures.parameter(`Invalid region names provided: ${strangers.join(', ').slice(0, 300)}`);
    const asked = known.filter((name) => names.length === 0 || names.includes(name));
    const Regions = asked.map((RegionName) => ({ RegionName, OptInStatus: 'opt-in-not-required' }));
    return { Regions: filtered(Regions, input.Filters, { table: FILTERS }) };
  };

const FILTERS: FilterTable<Region> = {
  ...ofNothing('endpoint'),
  'opt-in-status': ({ OptInStatus }) => [OptInStatus],
  'region-name': ({ RegionName }) => [RegionName],
};
