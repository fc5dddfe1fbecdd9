/** After which errors of a head another start of it would be wrong or useless. */
import type { Finality } from '../child.ts';

/** Starting again would repeat them, or would take the volume back from whoever took it from us. */
const FINAL =
  /^(VOLUME_FENCED|VOLUME_DELETED|ROKKA_PLACE_LOST|DATABASE_SETTING_.*|DATABASE_BINARIES_.*|DATABASE_VERSION_MISMATCH|DATABASE_SOCKET_PATH_LONG|FILESYSTEM_VERSION|FILESYSTEM_CORRUPT|REGISTRY_VERSION|REGISTRY_CORRUPT|QUORUM_.*)$/;
/** A database that was up tries again instead: its own port may still be held by the server that is just dying. */
const FINAL_AT_FIRST =
  /^FUSE_(NO_DEVICE|NOT_PERMITTED|NO_MOUNT_POINT|ALREADY_MOUNTED|NO_MOUNT_PROGRAM|MOUNT_FAILED|KERNEL_TOO_OLD)$|^DATABASE_(PORT_USED|ADDRESS_.*|STAGE_FAILED|FUSE_.*|NAMESPACE_DENIED|MOUNT_DENIED|CONFINEMENT_DENIED|TOOL_MISSING|NO_ACCOUNT|DIRECTORY_.*|OUT_OF_SPACE|OUT_OF_MEMORY|INITDB_FAILED)$/;

export function finalityOfHead(code: string): Finality {
  return FINAL.test(code) ? 'always' : FINAL_AT_FIRST.test(code) ? 'at-first' : 'never';
}
