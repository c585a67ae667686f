/** What `rdv unpublish`, `deactivate`, `activate` and `renew` share: which publication, and through which node. */
import type { NodeApi, PublicationTarget } from '../node/api.js';
import type { Output } from './output.js';
import { type NamespaceOptions, openNodeApi, operandAndNamespaces, outputOf } from './shared.js';
import { readTag } from './tag-input.js';

const HANDLE = /^[0-9a-f]{32}$/;

/** Calls `work` with the publication that `operand` names: a handle (see `rdv list`), or the tag itself. */
export async function withPublication(
  operand: string | undefined,
  given: NamespaceOptions,
  work: (api: NodeApi, target: PublicationTarget, out: Output) => Promise<void>,
): Promise<void> {
  const { argument, options: said } = operandAndNamespaces(operand, given);
  const { tag, options } = await readTag({ argument, file: said.tagFile }, said);
  const { api } = await openNodeApi(options, { store: true, namespaces: false });
  try {
    await work(api, HANDLE.test(tag) ? { handle: tag } : { tag, realm: options.realm }, outputOf(said));
  } finally {
    await api.close();
  }
}
