/**
 * The policies that AWS manages and that exist here too, under AWS's own ARNs. The text of AdministratorAccess and
 * PowerUserAccess is AWS's; of the read-only ones it is what the services of this cluster need.
 */
import type { PolicyDocument } from './documents.ts';

/** Services that show nothing secret by these verbs. */
const READ_ONLY_SERVICES = [
  'acm',
  'acm-pca',
  'cloudtrail',
  'cloudwatch',
  'dlm',
  'ec2',
  'ecs',
  'iam',
  'logs',
  'quicksight',
  'rds',
  'servicediscovery',
  'tag',
];
const READ_ONLY_VERBS = ['Describe', 'Get', 'List', 'Lookup', 'Search', 'Simulate'];
/** Elsewhere some Get hands out a secret: parameters, secrets, tokens. */
const READ_ONLY_ACTIONS = [
  'secretsmanager:Describe*',
  'secretsmanager:GetResourcePolicy',
  'secretsmanager:List*',
  'ssm:Describe*',
  'ssm:GetAutomationExecution',
  'ssm:GetCommandInvocation',
  'ssm:GetDocument',
  'ssm:GetInventory*',
  'ssm:GetMaintenanceWindow*',
  'ssm:GetPatch*',
  'ssm:List*',
  'sts:GetAccessKeyInfo',
  'sts:GetCallerIdentity',
];

interface Text {
  name: string;
  id: string;
  description: string;
  statements: object[];
}

const TEXTS: Text[] = [
  {
    name: 'AdministratorAccess',
    id: 'ANPAROKKAAAAAAAAAAADM',
    description: 'Provides full access to AWS services and resources.',
    statements: [{ Effect: 'Allow', Action: '*', Resource: '*' }],
  },
  {
    name: 'PowerUserAccess',
    id: 'ANPAROKKAAAAAAAAAAPWR',
    description:
      'Provides full access to AWS services and resources, but does not allow management of Users and groups.',
    statements: [
      { Effect: 'Allow', NotAction: ['iam:*', 'organizations:*', 'account:*'], Resource: '*' },
      {
        Effect: 'Allow',
        Action: [
          'account:GetAccountInformation',
          'account:GetPrimaryEmail',
          'account:ListRegions',
          'iam:CreateServiceLinkedRole',
          'iam:DeleteServiceLinkedRole',
          'iam:ListRoles',
          'organizations:DescribeOrganization',
        ],
        Resource: '*',
      },
    ],
  },
  {
    name: 'ReadOnlyAccess',
    id: 'ANPAROKKAAAAAAAAAARDO',
    description: 'Reads everything that the services of this cluster show, but no secrets.',
    statements: [
      {
        Effect: 'Allow',
        Action: [
          ...READ_ONLY_SERVICES.flatMap((service) => READ_ONLY_VERBS.map((verb) => `${service}:${verb}*`)),
          ...READ_ONLY_ACTIONS,
        ],
        Resource: '*',
      },
    ],
  },
  {
    name: 'IAMFullAccess',
    id: 'ANPAROKKAAAAAAAAAAIAM',
    description: 'Provides full access to IAM.',
    statements: [{ Effect: 'Allow', Action: ['iam:*'], Resource: '*' }],
  },
  {
    name: 'IAMReadOnlyAccess',
    id: 'ANPAROKKAAAAAAAAAAIRO',
    description: 'Reads IAM.',
    statements: [{ Effect: 'Allow', Action: ['iam:Get*', 'iam:List*', 'iam:Simulate*'], Resource: '*' }],
  },
];

/** When this list was last changed. */
const MADE_AT_MS = Date.UTC(2026, 10, 28);

export const BUILT_IN_POLICIES: ReadonlyMap<string, PolicyDocument> = new Map(
  TEXTS.map(({ name, id, description, statements }) => [
    `arn:aws:iam::aws:policy/${name}`,
    {
      name,
      id,
      path: '/',
      createdAtMs: MADE_AT_MS,
      updatedAtMs: MADE_AT_MS,
      tags: [],
      description,
      defaultVersionId: 'v1',
      nextVersion: 2,
      versions: [
        {
          id: 'v1',
          createdAtMs: MADE_AT_MS,
          document: JSON.stringify({ Version: '2012-10-17', Statement: statements }),
        },
      ],
    },
  ]),
);

export const ADMINISTRATOR_ACCESS = 'arn:aws:iam::aws:policy/AdministratorAccess';
