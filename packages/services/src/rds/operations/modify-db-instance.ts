import type { ModifyDBInstanceCommand } from '@aws-sdk/client-rds';
import type { Operation } from '@rokka/gateway';
import { changeInstance, demandInstanceStatus, SETTLED, settledInstance } from '../cluster-changes.ts';
import { rdsArn } from '../rds-arns.ts';
import type { RdsServices } from '../rds-context.ts';
import { checked, demandBuilt, demandEngine } from '../rds-inputs.ts';
import { findInstance } from '../rds-lookup.ts';
import { knownName, scopeOf } from '../rds-names.ts';
import type { InstanceRecord } from '../rds-records.ts';
import { demandClass } from './create-db-instance.ts';

/**
 * Another class of the writer takes a restart: at once where it is asked for, else in its next maintenance window. A standby
 * serves nobody, so it has its class at once.
 * @throws DBInstanceNotFoundFault, InvalidDBInstanceStateFault, and what inputs may not say
 */
export const modifyDBInstance = (services: RdsServices): Operation<typeof ModifyDBInstanceCommand> => ({
  resources: (input, call) => [rdsArn(call, 'db', knownName('db', input.DBInstanceIdentifier, call))],
  conditions: ({ DBInstanceClass }) =>
    DBInstanceClass === undefined ? {} : { 'rds:DatabaseClass': DBInstanceClass },
  async handle(input, call) {
    const scope = scopeOf(call);
    demandBuilt(input, [
      'DBInstanceIdentifier',
      'ApplyImmediately',
      'DBInstanceClass',
      'Engine',
      'EngineVersion',
      'PreferredMaintenanceWindow',
      'PromotionTier',
    ]);
    demandEngine(input);
    const { DBInstanceClass, PreferredMaintenanceWindow, PromotionTier } = input;
    const wanted = DBInstanceClass === undefined ? undefined : demandClass(DBInstanceClass);
    const part = {
      ...(PreferredMaintenanceWindow !== undefined && {
        maintenanceWindow: checked.maintenanceWindow(PreferredMaintenanceWindow),
      }),
      ...(PromotionTier !== undefined && { promotionTier: checked.promotionTier(PromotionTier) }),
    };
    const found = await findInstance(services, scope, input.DBInstanceIdentifier);
    demandInstanceStatus(found.facts, found.instance, SETTLED);
    const atOnce = input.ApplyImmediately === true || found.facts.cluster.standby === found.instance.id;
    await changeInstance(services, scope, found.instance, (record) => ({
      ...withClass(record, wanted, atOnce),
      ...part,
    }));
    return { DBInstance: await settledInstance(services, scope, found) };
  },
});

function withClass(record: InstanceRecord, wanted: string | undefined, atOnce: boolean): InstanceRecord {
  const { pendingClass, ...rest } = record;
  const next = wanted ?? pendingClass;
  if (next === undefined || next === record.instanceClass) return rest;
  return atOnce ? { ...rest, instanceClass: next } : { ...rest, pendingClass: next };
}
