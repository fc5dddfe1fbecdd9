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
  GATEWAY_UNKNOWN_OPERATION: (service: string, name: string) =>
    `service ${service} knows no operation ${name}: its handler would never be called`,
});
