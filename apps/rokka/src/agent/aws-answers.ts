/** Whether an error is what AWS answers, or that it does not. */
export function isAwsError(error: unknown): error is Error {
  return error instanceof Error && ('$metadata' in error || '$fault' in error);
}
