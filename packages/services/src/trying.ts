/** Many things, each tried by itself: what cannot be done for one holds up no other. */
import { isCoded } from '@rokka/kernel';

/**
 * @param options.forgive whether a coded error is none that anybody has to hear of
 * @throws the first other coded error, after all of `work`; at once what is no coded error
 */
export async function trying(
  options: { forgive: (error: unknown) => boolean },
  work: (attempt: (one: () => Promise<unknown>) => Promise<void>) => Promise<void>,
): Promise<void> {
  const failures: unknown[] = [];
  await work(async (one) => {
    try {
      await one();
    } catch (error) {
      if (!isCoded(error)) throw error;
      if (!options.forgive(error)) failures.push(error);
    }
  });
  if (failures.length > 0) throw failures[0];
}
