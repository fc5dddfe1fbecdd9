/**
 * A user's keys stand in the user's document: that is where they are made, deactivated and deleted, by one compare-and-set.
 * Beside it a pointer says for each key whose it is. It is made before the key and removed after it, so a crash leaves at
 * most a pointer that leads nowhere, and no key without one.
 */
import { makePointer, removePointer } from './access-key-pointers.ts';
import type { AccessKeyDocument, UserDocument } from './documents.ts';
import { changeEntity, loadEntity } from './entities.ts';
import type { IamContext } from './iam-context.ts';
import { iamFailures } from './iam-failures.ts';
import { accessKeyId, secretKey } from './unique-ids.ts';

export const ACCESS_KEYS_MAX = 2;

/** @throws NoSuchEntityException, LimitExceededException */
export async function makeAccessKey(context: IamContext, userName: string): Promise<AccessKeyDocument> {
  const { store, random, clock } = context;
  checkRoom(await loadEntity(context, 'users', userName));
  const key = {
    id: accessKeyId(random, 'AKIA'),
    secret: secretKey(random),
    active: true,
    createdAtMs: clock.wallMs(),
  };
  await makePointer(store, key.id, userName);
  try {
    await changeEntity(context, 'users', userName, (user) => {
      checkRoom(user);
      return { ...user, accessKeys: [...user.accessKeys, key] };
    });
  } catch (error) {
    // If the failure left open whether the key was made, the pointer must stay.
    if (isRefusal(error)) await removePointer(store, key.id, userName);
    throw error;
  }
  return key;
}

/** A key that is no more is reported so, after what may be left of it is cleared away. @throws NoSuchEntityException */
export async function deleteAccessKeyOf(
  context: IamContext,
  userName: string,
  id: string | undefined,
): Promise<void> {
  let found = false;
  const user = await changeEntity(context, 'users', userName, (before) => {
    found = before.accessKeys.some((key) => key.id === id);
    return found ? { ...before, accessKeys: before.accessKeys.filter((key) => key.id !== id) } : before;
  });
  if (id !== undefined && /^AKIA[A-Z2-7]{16}$/.test(id)) await removePointer(context.store, id, user.name);
  if (!found) throw noSuchKey(id);
}

/** @throws NoSuchEntityException */
export async function activateAccessKey(
  context: IamContext,
  userName: string,
  { id, active }: { id: string | undefined; active: boolean },
): Promise<void> {
  await changeEntity(context, 'users', userName, (user) => {
    if (!user.accessKeys.some((key) => key.id === id)) throw noSuchKey(id);
    return { ...user, accessKeys: user.accessKeys.map((key) => (key.id === id ? { ...key, active } : key)) };
  });
}

function checkRoom({ accessKeys }: UserDocument): void {
  if (accessKeys.length >= ACCESS_KEYS_MAX)
    throw iamFailures.limitExceeded('AccessKeysPerUser', ACCESS_KEYS_MAX);
}

const isRefusal = (error: unknown) =>
  error instanceof Error && ['LimitExceededException', 'NoSuchEntityException'].includes(error.name);

const noSuchKey = (id: string | undefined) => iamFailures.notFound(`The Access Key with id ${id}`);
