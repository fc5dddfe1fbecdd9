/** What goes wrong in Data Lifecycle Manager, as the exceptions that its clients know. */
import {
  InvalidRequestException,
  LimitExceededException,
  ResourceNotFoundException,
} from '@aws-sdk/client-dlm';

/** They have a member `Message` of their own. */
const said = (message: string) => ({ Message: message, message, $metadata: {} });
const shown = (text: string) => text.slice(0, 200);

export const dlmFailures = {
  invalid: (why: string) => new InvalidRequestException(said(why)),
  noPolicy: (id: string) =>
    new ResourceNotFoundException({
      ...said(`There is no policy ${shown(id)}.`),
      ResourceType: 'policy',
      ResourceIds: [shown(id)],
    }),
  limit: (why: string) => new LimitExceededException(said(why)),
};
