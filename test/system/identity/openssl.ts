/** An authority run with openssl: keys, certificates, revocation lists, and its own opinion of a chain. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pemBlocks } from '@rdv/protocol/identity/pem';

export type Algorithm = 'ed25519' | 'p256' | 'rsa' | 'rsa-pss';

const NEW_KEY: Readonly<Record<Algorithm, readonly string[]>> = {
  ed25519: ['-algorithm', 'ed25519'],
  p256: ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256'],
  rsa: ['-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048'],
  'rsa-pss': ['-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:3072'],
};
const PSS = ['-sigopt', 'rsa_padding_mode:pss', '-sigopt', 'rsa_pss_saltlen:32'];

const CONFIG = `
[ca]
default_ca = test
[test]
database = index.txt
serial = serial
crlnumber = crlnumber
new_certs_dir = .
default_md = sha256
policy = anything
default_days = 5
default_crl_days = 5
[anything]
commonName = supplied
[req]
distinguished_name = name
[name]
[root]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
[authority]
basicConstraints = critical,CA:TRUE,pathlen:0
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[leaf]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = clientAuth
subjectAltName = email:ann@example.org
[bare]
subjectAltName = email:ann@example.org
[encipher]
keyUsage = critical,keyEncipherment
[constrained]
basicConstraints = critical,CA:TRUE
nameConstraints = critical,permitted;email:example.org
`;

export class OpenSsl {
  readonly folder: string = mkdtempSync(join(tmpdir(), 'rdv-openssl-'));

  constructor() {
    for (const [name, content] of [
      ['config', CONFIG],
      ['index.txt', ''],
      ['index.txt.attr', 'unique_subject = no\n'],
      ['serial', '1000\n'],
      ['crlnumber', '01\n'],
    ] as const) {
      writeFileSync(join(this.folder, name), content);
    }
  }

  run(...args: string[]): Buffer {
    return execFileSync('openssl', args, { cwd: this.folder, stdio: ['ignore', 'pipe', 'pipe'] });
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  /** `NAME.key` and `NAME.pub`. */
  newKey(name: string, algorithm: Algorithm): void {
    this.run('genpkey', ...NEW_KEY[algorithm], '-out', `${name}.key`);
    this.run('pkey', '-in', `${name}.key`, '-pubout', '-out', `${name}.pub`);
  }

  /** `NAME.pem`, signed by itself. */
  newRoot(name: string, algorithm: Algorithm): void {
    this.newKey(name, algorithm);
    const subject = ['-subj', `/CN=${name}`, '-days', '5', '-config', 'config', '-extensions', 'root'];
    const how = algorithm === 'rsa-pss' ? PSS : [];
    this.run('req', '-x509', '-new', '-key', `${name}.key`, '-out', `${name}.pem`, ...subject, ...how);
  }

  /** `NAME.pem`, signed by the authority `by`. @param section of the configuration: what kind of certificate */
  issue(name: string, algorithm: Algorithm, by: string, section: string, how: readonly string[] = []): void {
    this.newKey(name, algorithm);
    this.run('req', '-new', '-key', `${name}.key`, '-out', `${name}.csr`, '-subj', `/CN=${name}`, '-config', 'config');
    const signer = ['-cert', `${by}.pem`, '-keyfile', `${by}.key`, '-extensions', section, ...how];
    this.run('ca', '-batch', '-notext', '-config', 'config', '-in', `${name}.csr`, '-out', `${name}.pem`, ...signer);
  }

  /** `NAME.crl`: what `by` has revoked. */
  revoke(name: string, by: string, ...revoked: string[]): void {
    const signer = ['-config', 'config', '-cert', `${by}.pem`, '-keyfile', `${by}.key`];
    for (const one of revoked) this.run('ca', ...signer, '-revoke', `${one}.pem`);
    this.run('ca', ...signer, '-gencrl', '-out', `${name}.crl`);
  }

  der(file: string): Uint8Array {
    return pemBlocks(readFileSync(this.path(file), 'utf8'))[0]!.der;
  }

  /** Whether openssl believes the chain, at unix `seconds`. */
  believes(root: string, chain: readonly string[], seconds: number, crl?: string): boolean {
    const [leaf, ...others] = chain;
    const untrusted = others.flatMap((name) => ['-untrusted', `${name}.pem`]);
    const lists = crl === undefined ? [] : ['-crl_check', '-CRLfile', `${crl}.crl`];
    const args = [
      'verify',
      '-CAfile',
      `${root}.pem`,
      '-attime',
      String(seconds),
      ...untrusted,
      ...lists,
      `${leaf}.pem`,
    ];
    return spawnSync('openssl', args, { cwd: this.folder }).status === 0;
  }

  close(): void {
    rmSync(this.folder, { recursive: true });
  }
}
