/** How large the files of a store get, and how fast it looks through them. */
export interface StoreTuning {
  /** Size of a log file; default 16 MiB. */
  logFileBytes: number;
  /** Most bytes in one write and sync; default 1 MiB. */
  logBatchBytes: number;
  /** Log that the pages of one segment may lack before it is coalesced; default 32 MiB. */
  segmentLogBytes: number;
  /** Records that one page may lack before its segment is coalesced: bounds what a read has to apply; default 4,096. */
  pageRecords: number;
  /** Size of the log above which the oldest file is made droppable; default 128 MiB. */
  logBytes: number;
  /** How fast pages and log are looked through for flipped bits, in bytes a second; 0 for never; default 512 KiB. */
  scrubBytesPerSecond: number;
  /**
   * A page that takes longer to read waits for the disk, and those behind it are fetched meanwhile; default 0.25 ms. Of faster disks that is no
   * gain on few processors: the other threads take what reads lack then.
   */
  slowReadMs: number;
}

export const DEFAULT_TUNING: StoreTuning = {
  logFileBytes: 16 * 1024 * 1024,
  logBatchBytes: 1024 * 1024,
  segmentLogBytes: 32 * 1024 * 1024,
  pageRecords: 4_096,
  logBytes: 128 * 1024 * 1024,
  scrubBytesPerSecond: 512 * 1024,
  slowReadMs: 0.25,
};
