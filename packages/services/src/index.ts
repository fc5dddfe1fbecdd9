export * from './arn.ts';
