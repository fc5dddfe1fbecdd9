/** The Principal element of a trust policy: who may assume the role. */
import { isRecord, PolicyProblem, textsOf } from './policy-problem.ts';

export interface Principals {
  /** `*`. */
  readonly everybody: boolean;
  /** Twelve digits each: whoever the account's own policies allow it to. */
  readonly accounts: readonly string[];
  /** Users, roles and sessions of roles, by ARN. */
  readonly arns: readonly string[];
  /** `ec2.amazonaws.com`: it takes the roles of machines. No caller of AssumeRole is one. */
  readonly services: readonly string[];
}

/** @throws PolicyProblem */
export function compilePrincipals(where: string, element: unknown): Principals {
  if (element === '*') return { everybody: true, accounts: [], arns: [], services: [] };
  if (!isRecord(element) || Object.keys(element).length === 0)
    throw new PolicyProblem(where, 'must be "*" or an object with AWS or Service');
  for (const kind of Object.keys(element))
    if (kind !== 'AWS' && kind !== 'Service')
      throw new PolicyProblem(
        where,
        `principals of the kind ${kind} are not known here: AWS and Service are`,
      );
  const aws = element.AWS === undefined ? [] : textsOf(`${where}.AWS`, element.AWS);
  const services = element.Service === undefined ? [] : textsOf(`${where}.Service`, element.Service);
  const bad = services.find((name) => !/^[a-z0-9.-]+\.amazonaws\.com$/.test(name));
  if (bad !== undefined) throw new PolicyProblem(where, `Invalid principal in policy: "SERVICE":"${bad}"`);
  return { ...awsPrincipals(where, aws), services };
}

function awsPrincipals(where: string, texts: readonly string[]): Omit<Principals, 'services'> {
  const accounts: string[] = [];
  const arns: string[] = [];
  for (const text of texts) {
    const account = /^(?:arn:aws:iam::)?(\d{12})(?::root)?$/.exec(text)?.[1];
    if (account !== undefined) accounts.push(account);
    else if (/^arn:aws:(iam::\d{12}:(user|role)|sts::\d{12}:assumed-role)\/[\w+=,.@/-]+$/.test(text))
      arns.push(text);
    else if (text !== '*') throw new PolicyProblem(where, `Invalid principal in policy: "AWS":"${text}"`);
  }
  return { everybody: texts.includes('*'), accounts, arns };
}
