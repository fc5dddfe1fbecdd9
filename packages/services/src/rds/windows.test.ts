import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { SeededRandom } from '@rokka/kernel';
import {
  drawBackupWindow,
  drawMaintenanceWindow,
  isBackupWindow,
  isInMaintenance,
  isMaintenanceWindow,
} from './windows.ts';

test('what is a window', () => {
  for (const window of ['00:00-00:30', '23:45-00:15', '10:00-09:59'])
    assert.ok(isBackupWindow(window), window);
  for (const window of ['', '00:00-00:29', '24:00-01:00', '00:60-02:00', '1:00-2:00', '00:00-00:00'])
    assert.ok(!isBackupWindow(window), window);
  for (const window of ['sun:05:00-sun:05:30', 'Sat:23:50-sun:00:20', 'mon:00:00-tue:00:00'])
    assert.ok(isMaintenanceWindow(window), window);
  for (const window of ['sun:05:00-sun:05:29', 'xxx:05:00-sun:06:00', 'mon:00:00-wed:00:00', 'sun:05:00'])
    assert.ok(!isMaintenanceWindow(window), window);
});

test('every drawn window is one', () => {
  fc.assert(
    fc.property(fc.integer(), (seed) => {
      const random = new SeededRandom(seed);
      return isBackupWindow(drawBackupWindow(random)) && isMaintenanceWindow(drawMaintenanceWindow(random));
    }),
  );
});

test('in a window as long as the calendar says', () => {
  const days = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 4_000_000_000_000 }), (atMs) => {
      const at = new Date(atMs);
      const day = days[at.getUTCDay()];
      const hour = String(at.getUTCHours()).padStart(2, '0');
      const next = new Date(atMs + 3_600_000);
      const nextHour = String(next.getUTCHours()).padStart(2, '0');
      const window = `${day}:${hour}:00-${days[next.getUTCDay()]}:${nextHour}:00`;
      return (
        isInMaintenance(window, atMs) &&
        !isInMaintenance(window, atMs + 3_600_000) &&
        !isInMaintenance(window, atMs - 3_600_000) &&
        isInMaintenance(window, atMs + 7 * 86_400_000)
      );
    }),
  );
});
