/**
 * Filters of DescribeInstances that AWS has, of what no machine has here: an image, a network of EC2, a key pair. They are no
 * error, and nothing passes them.
 * https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstances.html
 */
const under = (prefix: string, names: string) => names.split(' ').map((name) => `${prefix}.${name}`);

export const NOT_OF_INSTANCES: readonly string[] = [
  'affinity',
  'architecture',
  'availability-zone-id',
  'boot-mode',
  'capacity-reservation-id',
  ...under(
    'capacity-reservation-specification',
    'capacity-reservation-preference capacity-reservation-target.capacity-reservation-id capacity-reservation-target.capacity-reservation-resource-group-arn',
  ),
  'client-token',
  'current-instance-boot-mode',
  'dns-name',
  'ebs-optimized',
  'ena-support',
  'enclave-options.enabled',
  'hibernation-options.configured',
  'host-id',
  'hypervisor',
  'image-id',
  'instance-lifecycle',
  ...under('instance', 'group-id group-name'),
  'ip-address',
  'ipv6-address',
  'kernel-id',
  'key-name',
  'maintenance-options.auto-recovery',
  ...under(
    'metadata-options',
    'http-endpoint http-protocol-ipv4 http-protocol-ipv6 http-put-response-hop-limit http-tokens instance-metadata-tags state',
  ),
  ...under(
    'network-interface.addresses.association',
    'allocation-id association-id carrier-ip customer-owned-ip ip-owner-id public-dns-name public-ip',
  ),
  ...under('network-interface.addresses', 'primary private-dns-name private-ip-address'),
  ...under(
    'network-interface.association',
    'allocation-id association-id carrier-ip customer-owned-ip ip-owner-id public-dns-name public-ip',
  ),
  ...under(
    'network-interface.attachment',
    'attach-time attachment-id delete-on-termination device-index instance-id instance-owner-id network-card-index status',
  ),
  ...under(
    'network-interface',
    'availability-zone deny-all-igw-traffic description group-id group-name ipv4-prefixes.ipv4-prefix ipv6-address ipv6-addresses.ipv6-address ipv6-addresses.is-primary-ipv6 ipv6-native ipv6-prefixes.ipv6-prefix mac-address network-interface-id operator.managed operator.principal outpost-arn owner-id private-dns-name private-ip-address public-dns-name requester-id requester-managed status source-dest-check subnet-id tag-key tag-value vpc-id',
  ),
  'network-performance-options.bandwidth-weighting',
  'operator.principal',
  'outpost-arn',
  'placement-group-name',
  'placement-partition-number',
  'platform',
  'platform-details',
  ...under(
    'private-dns-name-options',
    'enable-resource-name-dns-a-record enable-resource-name-dns-aaaa-record hostname-type',
  ),
  'product-code',
  'product-code.type',
  'ramdisk-id',
  'reason',
  'requester-id',
  'source-dest-check',
  'spot-instance-request-id',
  'state-reason-code',
  'state-reason-message',
  'subnet-id',
  'tpm-support',
  'usage-operation',
  'usage-operation-update-time',
  'virtualization-type',
  'vpc-id',
];
