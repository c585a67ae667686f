/** The one door to the CLI library; each command file takes its `Command` from here. */
// commander: the most used CLI parser of Node, no dependencies
export { Command, CommanderError, Option } from 'commander';
