/** Version of this compiler, recorded in artifacts and part of cache keys. */
export const HONE_VERSION = '0.1.0';
