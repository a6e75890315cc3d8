// What counts as one address when limits are kept per address.

/**
 * An IPv4 address stands for itself, also one that came over IPv6. IPv6 addresses are one by their first 64 bits: as
 * many as that belong to each network, and so to each machine.
 */
export function addressKey(address: string): string {
  const plain = address.replace(/^::ffff:(?=\d+\.)/i, '')
  if (!plain.includes(':')) return plain
  const [head = '', tail] = plain.replace(/%.*$/, '').toLowerCase().split('::')
  const first = groupsOf(head)
  if (tail !== undefined) {
    const last = groupsOf(tail)
    while (first.length + last.length < 8) first.push('0')
    first.push(...last)
  }
  const network = first.slice(0, 4).map((group) => group.replace(/^0+(?=.)/, ''))
  return `${network.join(':')}::/64`
}

function groupsOf(part: string): string[] {
  return part === '' ? [] : part.split(':')
}
