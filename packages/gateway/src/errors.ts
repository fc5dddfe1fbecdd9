import { defineErrors } from '@rokka/kernel';

/** Why the gateway could not begin, or could not do its own part. What a caller is told is in `failures.ts`. */
export const gatewayErrors = defineErrors({
  GATEWAY_ADDRESS_USED: (host: string, port: number, why: string) =>
    `${host}:${port} cannot be listened on: ${why}; choose another port, or end who holds it`,
  GATEWAY_SERVICE_TWICE: (signingName: string) =>
    `service ${signingName} is registered twice: a request could mean either; register it once`,
  GATEWAY_SERVICE_MISNAMED: (signingName: string, loaded: string) =>
    `the module of service ${signingName} defines ${loaded}: register it under that name`,
  GATEWAY_SDK_CHANGED: (what: string) =>
    `the SDK's runtime schemas are not as expected: ${what}; pin the version that the round-trip test passes with`,
  GATEWAY_SERVICE_UNLOADABLE: (signingName: string, why: string) =>
    `service ${signingName} could not be loaded: ${why}; the next call for it tries again`,
  GATEWAY_CALL_FAILED: (requestId: string, action: string, why: string) =>
    `call ${requestId}, ${action}, failed as nobody foresaw: ${why}`,
  GATEWAY_CALL_LATE: (requestId: string, action: string, ms: number) =>
    `call ${requestId}, ${action}, had not ended after ${ms} ms: its client was told so; it may still end`,
  GATEWAY_ANSWER_BROKEN: (requestId: string, why: string) =>
    `call ${requestId}: its answer could not be written: ${why}; the connection was closed`,
  GATEWAY_AUDIT_FAILED: (requestId: string, what: string, why: string) =>
    `call ${requestId}, ${what}, is not in the audit: ${why}; it was carried out and answered`,
  GATEWAY_UNKNOWN_OPERATION: (service: string, name: string) =>
    `service ${service} knows no operation ${name}: its handler would never be called`,
});
