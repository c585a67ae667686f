/** `rdv status`: what the running node is doing, and its node key. */
import { RdvError } from '@rdv/protocol/core/errors';
import type { NodeStatus } from '../node/api.js';
import { ControlClient } from '../node/control-client.js';
import { nodeAnswers } from '../node/control-server.js';
import type { BoardPart } from '../node/kept-board.js';
import { nodePaths } from '../node/paths.js';
import type { Command } from './commander.js';
import { duration } from './output.js';
import { type CommonOptions, outputOf, withCommonOptions } from './shared.js';

function onAir(proof: NodeStatus['onAir']): string {
  switch (proof?.state) {
    case undefined:
      return 'nobody listens: a second adapter (proof-adapter in the configuration) could tell';
    case 'waiting':
      return 'the second radio listens';
    case 'heard':
      return `heard by the second radio${proof?.heardMsAgo === undefined ? '' : `, ${duration(proof.heardMsAgo)} ago`}`;
    case 'silent':
      return 'NOT heard by the second radio: look at adapter, antenna and distance';
  }
}

function boardText({ port, state, why, board, carries, batteryMv, clockErrorMs, driftPpm }: BoardPart): string {
  if (state === 'away') return `${port} away: ${why}`;
  return [
    `${port} ${board ?? 'up'}`,
    carries === undefined ? 'gets the time' : carries ? 'carries its tag' : 'does not carry its tag',
    ...(clockErrorMs === undefined ? [] : [`clock was ${(clockErrorMs / 1000).toFixed(1)} s ahead`]),
    ...(driftPpm === undefined ? [] : [`drift ${driftPpm} ppm`]),
    ...(batteryMv === undefined ? [] : [`battery ${(batteryMv / 1000).toFixed(2)} V`]),
  ].join(', ');
}

function joinText({ between, forth, back }: NodeStatus['joins'][number]): string {
  const lane = ({ queues, lookups, records, frames, bytes, suppressed, refused, lost }: typeof forth): string =>
    [
      `${frames} frames (${bytes} bytes)`,
      `follows ${queues} queues, ${lookups} look-ups and ${records} records`,
      ...(suppressed > 0 ? [`${suppressed} were there already`] : []),
      ...(refused > 0 ? [`${refused} over the quota`] : []),
      ...(lost > 0 ? [`${lost} not taken`] : []),
    ].join(', ');
  return `${between[0]} to ${between[1]}: ${lane(forth)}; back: ${lane(back)}`;
}

export function statusCommand(command: Command): Command {
  return withCommonOptions(command)
    .description('show what the running node is doing')
    .action(async (options: CommonOptions) => {
      const paths = nodePaths(options.state);
      if (!(await nodeAnswers(paths.controlSocket))) {
        throw new RdvError(
          'unreachable',
          `no node runs with the state directory ${paths.directory}: start one with "rdv run"`,
        );
      }
      const api = new ControlClient(paths.controlSocket);
      const status = await api.status();
      const state = (item: { name: string; state: string }): string => `${item.name} ${item.state}`;
      outputOf(options).result(
        status,
        [
          `rdv ${status.version}, up ${duration(status.uptimeMs)}, roles: ${status.roles.join(', ') || 'none'}`,
          `node key    ${status.nodeKey ?? '-'}`,
          `namespaces  ${status.namespaces.map(state).join(', ') || '-'}`,
          `adapters    ${status.adapters.map(state).join(', ') || '-'}`,
          ...(status.server ? [`serves      ${status.server.url}, ${status.server.streams} streams open`] : []),
          ...(status.reportsAs ? [`reports as  ${status.reportsAs}`] : []),
          ...status.joins.map((join) => `join        ${joinText(join)}`),
          ...status.boards.map((board) => `board       ${boardText(board)}`),
          `health      ${[status.health.status, ...status.health.problems].join('; ')}`,
          ...(status.roles.includes('beacon') ? [`on the air  ${onAir(status.onAir)}`] : []),
        ].join('\n'),
      );
      await api.close();
    });
}
