/** The second radio that listens to the beacon: real bleno and noble on a virtual air, in virtual time. */
import { AirProof } from '@rdv/gateway/radio/air-proof';
import { silentLogger } from '@rdv/protocol/core/logger-silent';
import { afterEach, expect, it } from 'vitest';
import { newTag, Stage } from '../../scenarios/stage.js';

let stage: Stage;
afterEach(() => stage.close());

async function listening() {
  stage = Stage.virtual();
  const kiosk = await stage.kiosk();
  const { scanner, controller } = await stage.visitor();
  const warnings: string[] = [];
  const proof = new AirProof({
    scanner,
    sent: () => kiosk.role.sent(),
    reassert: () => kiosk.role.reassert(),
    clock: stage.clock,
    log: {
      ...silentLogger,
      warn: (message) => void warnings.push(message),
      info: (message) => void warnings.push(message),
    },
  });
  stage.undo(() => proof.close());
  return { kiosk, proof, warnings, controller };
}

it('hears every tag that is sent, and says nothing while it does', async () => {
  const { kiosk, proof, warnings } = await listening();
  expect(proof.status).toEqual({ state: 'waiting', heardMsAgo: undefined });
  for (const handle of ['one', 'two', 'three']) kiosk.role.advertise(handle, await newTag(), 'none');
  await stage.advance(10_000);
  expect(proof.status.state).toBe('heard');
  expect(proof.status.heardMsAgo).toBeLessThan(2000);
  // Over the edge of a window, where all ids change.
  await stage.advance(1_100_000);
  expect(proof.status.state).toBe('heard');
  expect(warnings).toEqual([]);
});

it('tells of a controller that reports success and sends the old data, and has it sent anew', async () => {
  const { kiosk, proof, warnings } = await listening();
  kiosk.role.advertise('one', await newTag(), 'none');
  await stage.advance(10_000);
  expect(proof.status.state).toBe('heard');
  kiosk.controller.faults.staleAdvertisingData = true;
  kiosk.role.withdraw('one');
  kiosk.role.advertise('two', await newTag(), 'none');
  await stage.advance(40_000);
  expect(proof.status.state).toBe('silent');
  expect(warnings).toEqual([expect.stringContaining('does not hear the beacon')]);
  kiosk.controller.faults.staleAdvertisingData = false;
  await stage.advance(15_000);
  expect(proof.status.state).toBe('heard');
  expect(warnings).toHaveLength(2);
});

it('tells of a beacon that is out of its hearing', async () => {
  const { kiosk, proof, controller } = await listening();
  kiosk.role.advertise('one', await newTag(), 'none');
  await stage.advance(10_000);
  stage.air.setPath(kiosk.controller, controller, { up: false });
  await stage.advance(40_000);
  expect(proof.status.state).toBe('silent');
  expect(proof.status.heardMsAgo).toBeGreaterThan(30_000);
  kiosk.role.withdraw('one');
  await stage.advance(10_000);
  expect(proof.status.state).toBe('waiting');
});
