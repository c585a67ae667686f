/**
 * RDV on a stock Debian kernel: what happens in each machine is told in the files beside this one, here is who is
 * told in which order. The longest first, so that none is left alone at the end.
 */
import { openEmbeddedBroker } from '@rdv/gateway/server/embedded-broker';
import { afterAll } from 'vitest';
import { Bench } from '../../gateway/cli/rdv-process.js';
import { bluezSteps } from './bluez.js';
import { channelSteps } from './channels.js';
import { contractSteps } from './contract.js';
import { buildRadio } from './image.js';
import { ROOT } from './machine.js';
import { story } from './verdicts.js';

buildRadio(ROOT);
const bench = new Bench();
const broker = await openEmbeddedBroker();
afterAll(async () => {
  await bench.close();
  await broker.close();
});

story('BlueZ', 4, () => bluezSteps(broker));
story('the raw channel', 3, () => channelSteps('raw', bench, broker));
story('the user channel', 3, () => channelSteps('user', bench, broker));
story('the radio contract', 3, contractSteps);
