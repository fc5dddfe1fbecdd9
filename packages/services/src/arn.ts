/** Amazon Resource Names, as policies and answers write them. */

/** `arn:aws:SERVICE:REGION:ACCOUNT:RESOURCE`. Global services have no region. */
export function arnOf(of: { service: string; region: string; account: string; resource: string }): string {
  return `arn:aws:${of.service}:${of.region}:${of.account}:${of.resource}`;
}
