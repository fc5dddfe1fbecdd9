/** The services that a gateway knows, by the name in a signature's scope; each loaded when it is first asked for. */
import { gatewayErrors } from './errors.ts';
import type { LazyService, ProtocolId, RegisteredService, Service } from './service.ts';

export class ServiceTable {
  readonly #services = new Map<string, Service | LazyService>();

  /** @throws GATEWAY_SERVICE_TWICE */
  constructor(services: readonly RegisteredService[]) {
    for (const service of services) {
      if (this.#services.has(service.signingName))
        throw gatewayErrors.GATEWAY_SERVICE_TWICE([service.signingName]);
      this.#services.set(service.signingName, service);
    }
  }

  get names(): string[] {
    return [...this.#services.keys()];
  }

  has(signingName: string): boolean {
    return this.#services.has(signingName);
  }

  /** Its own, where it is known by now. */
  protocolOf(signingName: string | undefined): ProtocolId | undefined {
    return signingName === undefined ? undefined : this.#services.get(signingName)?.protocol;
  }

  /** Rejects as the service's own `load` does. */
  async load(signingName: string): Promise<Service | undefined> {
    const service = this.#services.get(signingName);
    if (!service || !('load' in service)) return service;
    const loaded = await service.load();
    this.#services.set(signingName, loaded);
    return loaded;
  }
}
