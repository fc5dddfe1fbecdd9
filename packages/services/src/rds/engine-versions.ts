/** Which PostgreSQL there is: the one that Rokka brings along. */
export const ENGINE = 'aurora-postgresql';
export const ENGINE_VERSION = '18.4';
const MAJOR = '18';
export const PARAMETER_GROUP_FAMILY = `${ENGINE}${MAJOR}`;
export const DEFAULT_PARAMETER_GROUP = `default.${PARAMETER_GROUP_FAMILY}`;

/** AWS takes a major version for the newest one of it. */
export const isEngineVersion = (text: string) => text === ENGINE_VERSION || text === MAJOR;
