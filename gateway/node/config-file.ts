/** Reads a node's YAML configuration file. */
import { readFileSync, statSync } from 'node:fs';
import { RdvError } from '@rdv/protocol/core/errors';
// yaml: the YAML 1.2 library with positions in its errors
import { parseDocument } from 'yaml';
import { type NodeConfig, validateConfig } from './config.js';

const FILE_MAX_BYTES = 1024 * 1024;

/** @throws RdvError `config`, one line that names the file and the fault */
export function readConfigFile(path: string): NodeConfig {
  let source: string;
  try {
    if (statSync(path).size > FILE_MAX_BYTES) throw new Error('larger than 1 MiB');
    source = readFileSync(path, 'utf8');
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    const why = code === 'ENOENT' ? 'there is no such file: name one with --config' : message;
    throw new RdvError('config', `cannot read ${path}: ${why}`, { cause });
  }
  const document = parseDocument(source, { prettyErrors: true });
  const fault = document.errors[0];
  if (fault) throw new RdvError('config', `${path}: ${fault.message.split('\n')[0]?.replace(/:$/, '')}`);
  return validateConfig(document.toJS({ maxAliasCount: 100 }), path);
}
