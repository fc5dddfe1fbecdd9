/**
 * Tags by which a snapshot says how it was made, as the agent that made it has seen: whoever restores it goes by them. So no other service puts
 * them on, and a volume's own never become those of its snapshot.
 */
import { isReserved, type Tag } from '../tags.ts';

const CLAIMS = ['AppConsistent', 'Device', 'AwsVssConfig'];

/** Whether a key is kept for the agent, or for a service (`aws:…`). Keys are told apart by case, as EC2 does; `aws:` is not. */
export const isReservedOfSnapshots = (key: string): boolean => CLAIMS.includes(key) || isReserved(key);

/** What a snapshot takes over of its volume's tags. */
export const copiedTags = (tags: readonly Tag[]): Tag[] =>
  tags.filter(({ Key }) => !isReservedOfSnapshots(Key));
