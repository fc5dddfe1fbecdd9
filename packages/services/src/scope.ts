/** Whose resources, and where: an account in a region. Regions are names: everything is in the same cluster of machines. */

export interface Scope {
  /** Twelve digits. */
  readonly account: string;
  readonly region: string;
}

const REGION = /^[a-z0-9-]{1,32}$/;
export const isRegion = (text: string) => REGION.test(text);

/** Of the storage. On one machine they are zones in name only. */
const ZONES = ['a', 'b', 'c'] as const;
export type ZoneLetter = (typeof ZONES)[number];

/** In AWS's spelling. */
export const zonesOf = ({ region }: Pick<Scope, 'region'>) => ZONES.map((zone) => `${region}${zone}`);
